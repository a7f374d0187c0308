x <- system("ls -l", intern = TRUE); y <<- user[[1]]; if (x < system && y > 2) message("<", x, ">")
