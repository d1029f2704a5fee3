"""The only home of torch, transformers and optimum (the extra `train`)."""
