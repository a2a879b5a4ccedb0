"""Other ways to run the same early-exit network, each behind `infer(image, threshold) -> (exit, label)`."""
