"""What is wrong with a template, as far as its source tells before it runs."""
