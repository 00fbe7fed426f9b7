#!/bin/sh
# Fetches the models that workflows require: fetch-models.sh baked|volume WORKFLOWS INTO. A step of the image's build.
# The secrets hf_token and civitai_token are read where the build was given them.
set -eu

choice=$1 workflows=$2 into=$3
mkdir -p "$into"
case $choice in
    baked) ;;
    volume)
        echo "MODELS=volume: no model goes into the image"
        exit 0
        ;;
    *)
        echo "MODELS=$choice: it is baked or volume" >&2
        exit 1
        ;;
esac

for secret in hf_token civitai_token; do
    if [ -s "/run/secrets/$secret" ]; then
        echo "with the secret $secret"
    fi
done
HF_TOKEN=$(cat /run/secrets/hf_token 2>/dev/null || true)
CIVITAI_TOKEN=$(cat /run/secrets/civitai_token 2>/dev/null || true)
export HF_TOKEN CIVITAI_TOKEN
all=${WORKFLOWS:+--all} # of however many, where the build names them; of many that nobody named none is fetched
unset MODELS WORKFLOWS # the build's own; the second was heeded when the workflows were chosen

# shellcheck disable=SC2086 # no argument at all where it is empty
if ! WORKFLOWS_PATH=$workflows /opt/engine/bin/engine models fetch --into "$into" $all; then
    {
        echo
        echo "MODELS=baked: not every model that the workflows require could be fetched; the reasons are above. Either"
        echo "  - give each model of requires.models in schemas/NAME.json a url that answers, and the build the token that"
        echo "    it asks for: --secret id=hf_token,env=HF_TOKEN or --secret id=civitai_token,env=CIVITAI_TOKEN"
        echo "  - or name the workflows that are wanted, a few: --build-arg WORKFLOWS=resize,txt2img"
        echo "  - or keep the models on a network volume: --build-arg MODELS=volume"
    } >&2
    exit 1
fi
