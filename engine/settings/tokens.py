"""Settings of the sites that models are fetched from."""

from __future__ import annotations

from pydantic import Field

from engine.settings.fields import Part, Url, named


class TokenSettings(Part):
    """Sites that models are fetched from."""

    hf_token: str | None = Field(
        None,
        repr=False,
        validation_alias=named(
            "HF_TOKEN",
            "HUGGINGFACE_ACCESS_TOKEN",
            "HUGGINGFACE_TOKEN",
            "HUGGINGFACE_HUB_TOKEN",
            generic=("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_API_TOKEN"),
        ),
        description="of a Hugging Face account, for models whose terms were accepted there",
    )
    civitai_token: str | None = Field(
        None,
        repr=False,
        validation_alias=named("CIVITAI_TOKEN", "CIVITAI_API_KEY", generic=("CIVITAI_API_TOKEN",)),
        description="of a Civitai account; most of its models are not given without",
    )
    hf_endpoint: Url = Field(
        None,
        validation_alias=named("HF_ENDPOINT"),
        description="a mirror that is asked in place of https://huggingface.co, and given HF_TOKEN",
    )
