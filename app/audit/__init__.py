"""The audit trail records who did what to which object, and when."""
