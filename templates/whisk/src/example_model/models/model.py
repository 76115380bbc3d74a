"""The model, as the package existing_model has it. Annotate its `predict`, and requests are checked."""

from existing_model.models.model import Model as WhiskModel


class Model(WhiskModel):
    """Predicts as it did, and answers `POST /predict` as whisk's service did."""

    bare = True
    """The answer is the predictions alone, and not {"predictions": ...}."""
