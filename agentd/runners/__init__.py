"""What executes an attempt. `protocol` is all the rest of agentd knows of a runner."""
