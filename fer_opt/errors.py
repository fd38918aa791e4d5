"""Everything fer-opt refuses, as one tree.

    FerOptError                 one sentence: the file, the cause, the way out
    ├── ModelError              a model that cannot be read, or is no image classifier
    ├── DatasetError            a dataset that is not what it claims to be
    ├── ConventionError         model, data and input convention that do not fit together
    ├── RecipeError             a recipe that cannot be parsed or carried out
    ├── ConversionError         TensorFlow Lite would not convert the model
    ├── ExperimentError         an experiment file or run folder that cannot be used
    ├── RecordError             a record that cannot be read
    ├── MeasurementError        a measurement that did not take place, or is not valid
    │   └── BenchmarkFailedError    what benchmark_model said instead of times; with the cause
    │                               (fer_opt.device.benchmark_model)
    ├── PhoneError              a phone that cannot be chosen, reached or used
    │   └── LinkLostError       the connection to it broke; worth another try
    ├── RunnerError             a benchmark_model that is missing, of another kind, or unusable
    ├── GateError               settings, budgets or baselines that no gate can judge by
    │   └── NoBaselineError         nothing to compare with
    └── OutputError             a place that cannot be written

The command line prints the message and exits with 2. Foreign exceptions are re-raised as one of
these with ``from exc``; none is meant to escape.
"""

from __future__ import annotations

__all__ = [
    "ConventionError",
    "ConversionError",
    "DatasetError",
    "ExperimentError",
    "FerOptError",
    "GateError",
    "LinkLostError",
    "MeasurementError",
    "ModelError",
    "NoBaselineError",
    "OutputError",
    "PhoneError",
    "RecipeError",
    "RecordError",
    "RunnerError",
    "first_line",
]


class FerOptError(Exception):
    """Base of every error fer-opt raises; ``str()`` is one sentence fit for the user."""


class ModelError(FerOptError):
    """A model file is missing, corrupt, unsafe to load, or no image classifier."""


class DatasetError(FerOptError):
    """A dataset is missing, empty, or not what it claims to be."""


class ConventionError(FerOptError):
    """Model, dataset and stated input convention do not fit together."""


class RecipeError(FerOptError):
    """A recipe cannot be parsed, or its steps cannot be carried out in that order."""


class ConversionError(FerOptError):
    """TensorFlow Lite would not convert the model."""


class ExperimentError(FerOptError):
    """An experiment file or run folder cannot be used."""


class RecordError(FerOptError):
    """A run record cannot be read, or is of an unknown version."""


class MeasurementError(FerOptError):
    """A measurement did not take place, or is not valid."""


class PhoneError(FerOptError):
    """A phone cannot be chosen, reached, or used as it is."""


class LinkLostError(PhoneError):
    """The connection to a phone broke: cable, Wi-Fi, reboot; reconnecting may help."""


class RunnerError(FerOptError):
    """A benchmark_model is missing, made for another processor, or does not do what is needed."""


class GateError(FerOptError):
    """Settings, budgets or a baseline that no gate can judge by."""


class NoBaselineError(GateError):
    """There is no model, or no record, to compare with."""


class OutputError(FerOptError):
    """A file or folder cannot be written."""


def first_line(exc: BaseException) -> str:
    """The first line of what a foreign exception says; its type where it says nothing."""
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]
