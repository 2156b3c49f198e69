"""The OCI distribution protocol: references, credentials, tokens, blobs and manifests."""
