"""A Poetry plugin that scaffolds, trains, packages, serves and deploys machine-learning projects."""
