"""Make a checkpoint of random weights that `CheckpointLoaderSimple` loads; no model is fetched for the tests.

    PYTHON_OF_COMFYUI random_checkpoint.py COMFY_HOME TARGET.safetensors

It has the layout of Stable Diffusion 1.5 (text encoder, U-Net, VAE; half precision), with fewer blocks in the
U-Net: ComfyUI reads their number off the file. Pictures made with it are noise, steps take a fraction of a
second on a CPU. The names and shapes of the tensors are those of ComfyUI's own classes.
"""

import sys
from pathlib import Path


def main() -> None:
    home, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    if target.exists():
        return
    sys.argv = ["main.py", "--cpu"]  # ComfyUI parses the command line when it is imported
    sys.path.insert(0, str(home))
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfy.ops
    import torch
    from comfy import sd1_clip
    from comfy.ldm.models.autoencoder import AutoencoderKL
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
    from safetensors.torch import save_file

    operations = comfy.ops.disable_weight_init
    with torch.device("meta"):
        unet = UNetModel(
            image_size=32,
            in_channels=4,
            out_channels=4,
            model_channels=320,
            num_res_blocks=[1, 1],
            channel_mult=[1, 1],
            transformer_depth=[1, 1],
            transformer_depth_output=[1, 1, 1, 1],
            transformer_depth_middle=1,
            context_dim=768,
            num_heads=8,
            use_spatial_transformer=True,
            legacy=False,
            operations=operations,
        )
        vae = AutoencoderKL(
            embed_dim=4,
            ddconfig={
                "double_z": True,
                "z_channels": 4,
                "resolution": 256,
                "in_channels": 3,
                "out_ch": 3,
                "ch": 128,
                "ch_mult": [1, 2, 4, 4],
                "num_res_blocks": 2,
                "attn_resolutions": [],
                "dropout": 0.0,
            },
        )
    clip = sd1_clip.SDClipModel(device="cpu", dtype=torch.float16)

    torch.manual_seed(0)
    tensors = {}
    for prefix, model in (
        ("model.diffusion_model.", unet),
        ("first_stage_model.", vae),
        ("cond_stage_model.", clip),
    ):
        for name, tensor in model.state_dict().items():
            if "text_projection" in name or "logit_scale" in name:
                continue
            # Small weights and neutral normalisation keep half precision far from infinity.
            value = torch.randn(tensor.shape) * 0.02
            if tensor.ndim == 1:
                value = torch.ones(tensor.shape) if name.endswith("weight") else torch.zeros(tensor.shape)
            tensors[prefix + name] = value.half().contiguous()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    save_file(tensors, str(part))
    part.replace(target)


if __name__ == "__main__":
    main()
