"""The control plane: the login of a person, and the socket through which their Hub steers."""
