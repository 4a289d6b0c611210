"""What the gateway asks of the control plane about its visitors."""
