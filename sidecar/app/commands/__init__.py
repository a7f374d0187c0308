"""What commands do themselves, besides asking a sidecar that runs."""
