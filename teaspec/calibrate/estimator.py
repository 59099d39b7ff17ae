"""Runs a pipeline over prompts and estimates the coefficients of its transformer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from teaspec.calibrate.collect import collecting
from teaspec.calibrate.fit import Fit, fit_pairs
from teaspec.calibrate.pairs import Pairs
from teaspec.pipelines.generate import generate
from teaspec.runtime.calibrations.registry import find_type
from teaspec.runtime.naming import did_you_mean, listed
from teaspec.runtime.pipeline.pipelines import modules_of


class TeaCacheCoefficientEstimator:
    """Collects pairs from a pipeline's generations; every transformer with a spec will do, none needs an adapter.

    Attributes:
        pipeline: Is run with each prompt.
        transformer: The transformer whose coefficients are estimated.
        shards: The pairs of each prompt.
    """

    def __init__(
        self,
        model_path: str,
        model_type: str | None = None,
        device: str = "cuda",
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        """Loads the pipeline whose transformer is calibrated, and finds the transformer in it.

        Args:
            model_path: A folder of a diffusers pipeline, or its name on the hub.
            model_type: The transformer: its class, or what the pipeline calls it. Needed where there are several.
            device: Where it runs.
            dtype: Of its weights.

        Raises:
            ValueError: If the pipeline has no such transformer, or several and none was named.
        """
        from diffusers import DiffusionPipeline

        loaded: Any = DiffusionPipeline.from_pretrained(model_path, torch_dtype=dtype)
        self._take(loaded.to(device), model_type)

    @classmethod
    def of(cls, pipeline: Any, model_type: str | None = None) -> TeaCacheCoefficientEstimator:
        """Takes a pipeline that is there already.

        Args:
            pipeline: Anything that is called with a prompt and holds a transformer.
            model_type: As for the constructor.

        Raises:
            ValueError: As the constructor does.
        """
        estimator = cls.__new__(cls)
        estimator._take(pipeline, model_type)
        return estimator

    def collect_from_prompt(self, prompt: str, **generate_kwargs: Any) -> Pairs:
        """Runs one generation and collects its pairs.

        Args:
            prompt: What the generation is to show.
            **generate_kwargs: Arguments of the pipeline. `num_inference_steps` is 20 and `seed` 42 where they are not
                given; a pipeline that can leave its latents undecoded does.

        Returns:
            The pairs of this generation, which are added to `shards`.

        Raises:
            RuntimeError: If the pipeline did not call the transformer twice in a row.
        """
        with collecting(self.transformer) as hook:
            generate(self.pipeline, prompt, **{"num_inference_steps": 20, "seed": 42, **generate_kwargs})
        if not len(hook.pairs):
            raise RuntimeError(
                f"the pipeline ran, and its {type(self.transformer).__name__} did not see two steps of one branch"
            )
        self.shards.append(hook.pairs)
        return hook.pairs

    @property
    def pairs(self) -> Pairs:
        """The pairs of all generations so far, those of earlier collections included.

        Raises:
            RuntimeError: If nothing was.
        """
        if not self.shards:
            raise RuntimeError("nothing was collected yet; call collect_from_prompt first")
        return Pairs.merge(self.shards)

    def estimate(self, poly_order: int = 4) -> list[float]:
        """Returns the coefficients, highest degree first.

        Args:
            poly_order: Degree of the polynomial, from 1 to 4.

        Raises:
            RuntimeError: If nothing was collected.
            ValueError: If there are too few different distances for the degree.
        """
        return list(self.fit(poly_order).coefficients[-poly_order - 1 :])

    def fit(self, poly_order: int = 4) -> Fit:
        """Returns the coefficients and how good they are; raises as `estimate` does."""
        return fit_pairs(self.pairs, poly_order)

    def _take(self, pipeline: Any, model_type: str | None) -> None:
        self.pipeline = pipeline
        self.transformer = find_transformer(pipeline, model_type)
        self.shards: list[Pairs] = []


def find_transformer(pipeline: Any, wanted: str | None = None) -> nn.Module:
    """Returns the transformer of a pipeline that can be calibrated.

    Args:
        pipeline: Holds it, under any name.
        wanted: Its class, or what the pipeline calls it; None where there is but one.

    Raises:
        ValueError: If there is no such transformer, or several and none was named.
    """
    known = {name: module for name, module in modules_of(pipeline).items() if find_type(type(module)) is not None}
    chosen = {name: one for name, one in known.items() if wanted in (None, name, type(one).__name__)}
    if len(chosen) == 1:
        return next(iter(chosen.values()))
    names = [f"{name} ({type(one).__name__})" for name, one in known.items()]
    if not known:
        raise ValueError(
            f"this {type(pipeline).__name__} has no transformer with a spec; {listed(modules_of(pipeline))}"
        )
    if not chosen:
        hint = did_you_mean(str(wanted), [*known, *(type(one).__name__ for one in known.values())])
        raise ValueError(f"there is no transformer {wanted!r}{hint} Found: {', '.join(names)}")
    raise ValueError(f"there are several transformers, name one: {', '.join(names)}")
