"""Selectors side by side: trained on their coresets, measured on held-out users, with intervals."""
