"""Jobs, their stages, events and scores."""
