"""The model, as the package existing_model has it. Annotate its `predict`, and requests are checked."""

from existing_model.models.model import Model

__all__ = ["Model"]
