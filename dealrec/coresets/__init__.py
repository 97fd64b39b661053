"""Coresets on disk: members with their texts, scores, and a manifest."""
