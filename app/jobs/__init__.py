"""Jobs: prune, select, finetune and comparison, over HTTP and as rules."""
