var map = new Dictionary<System, List<User>>(); if (n < System.MaxValue && m > 0) map[System] = x;
