"""The service as an AWS Lambda function: requests to its URL are answered by the application that `serve` runs."""

from apig_wsgi import make_lambda_handler
from example_model import package
from example_model.__main__ import load_model
from example_model._runtime.config import Config
from example_model._runtime.service import ServeConfig
from example_model._runtime.service.app import Service

# Loaded once, before the first request. The settings are those of configs/serve.yaml and the environment.
settings = Config(package).load("serve", ServeConfig, {})
handle = make_lambda_handler(Service(package, load_model(), settings).app, binary_support=True)
