"""What the model is asked: one file a task turns labels into text and scores the answers."""
