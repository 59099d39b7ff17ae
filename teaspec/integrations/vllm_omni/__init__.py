"""Compiled extractors for vLLM-Omni's own TeaCache.

vLLM-Omni's hook, its decision and its state stay as they are; what is put into its registry is how a
transformer is cut.
"""

from __future__ import annotations

from teaspec.integrations.vllm_omni.extractor import OmniExtractor
from teaspec.integrations.vllm_omni.package import TEACACHE
from teaspec.integrations.vllm_omni.register import register

__all__ = ["TEACACHE", "OmniExtractor", "register"]
