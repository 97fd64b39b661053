"""The tools that every area of the service uses."""
