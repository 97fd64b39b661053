"""What a job would cost, before it is made."""
