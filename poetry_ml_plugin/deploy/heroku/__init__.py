"""The Heroku target: checks, upload, build, release, smoke test."""
