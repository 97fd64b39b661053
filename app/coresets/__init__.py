"""Coresets: stored selections with their manifests."""
