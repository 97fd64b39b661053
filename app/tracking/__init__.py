"""Records of ended jobs for the operator's trackers; a tracker that is away never fails a job."""
