"""Templates: find one, render it, write it, merge its changes, bring a new project up."""
