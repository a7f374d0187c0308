"""HTTP for Kubernetes and people."""
