"""How experience is gathered and dealt out: rollouts, minibatches."""
