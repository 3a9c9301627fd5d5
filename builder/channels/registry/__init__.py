"""A registry by the OCI distribution specification: tags, manifests and blobs, byte for byte."""
