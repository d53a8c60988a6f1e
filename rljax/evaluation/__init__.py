"""Evaluation: rollouts of a policy, statistics over runs, policies loaded from run folders."""
