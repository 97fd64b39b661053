"""What every area of the service uses."""
