"""The way of a frame of the control plane: what a Hub has this machine do."""
