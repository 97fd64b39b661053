"""The scores of samples: lists, downloads, histograms."""
