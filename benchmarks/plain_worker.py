"""The common worker for ComfyUI on RunPod, as it is written again and again: what the engine is measured against.

One plain function answers a job: it looks whether ComfyUI is there, opens a websocket, queues the graph that came with
the job, reads messages until the end, reads the history, fetches every picture, and puts it into the reply, or into a
bucket with a client made for it. Written for this comparison, after that pattern; it does nothing slow on purpose.

The job's input is {"workflow": GRAPH}. COMFY_HOST (host:port) says where ComfyUI is; with BUCKET_ENDPOINT_URL,
BUCKET_ACCESS_KEY_ID, BUCKET_SECRET_ACCESS_KEY and BUCKET_NAME pictures go there.
"""

import base64
import json
import os
import time
import uuid

import boto3
import requests
import runpod
import websocket
from botocore.config import Config

HOST = os.environ.get("COMFY_HOST", "127.0.0.1:8188")
BUCKET = os.environ.get("BUCKET_ENDPOINT_URL")


def wait_for_comfyui():
    """Every job asks first whether ComfyUI is there."""
    for _ in range(500):
        try:
            if requests.get(f"http://{HOST}/", timeout=5).status_code in (200, 404):
                return
        except requests.RequestException:
            time.sleep(0.05)
    raise RuntimeError("ComfyUI does not answer")


def queue(graph, client_id):
    answer = requests.post(f"http://{HOST}/prompt", json={"prompt": graph, "client_id": client_id}, timeout=30)
    answer.raise_for_status()
    return answer.json()["prompt_id"]


def wait_for_end(socket, prompt_id):
    while True:
        message = socket.recv()
        if not isinstance(message, str):
            continue
        message = json.loads(message)
        data = message["data"]
        if data.get("prompt_id") != prompt_id:
            continue
        if message["type"] == "execution_error":
            raise RuntimeError(data["exception_message"])
        if message["type"] == "executing" and data["node"] is None:
            return


def picture(image):
    answer = requests.get(f"http://{HOST}/view", params=image, timeout=60)
    answer.raise_for_status()
    return answer.content


def upload(job_id, name, content):
    """A client for each picture, as the SDK's own helper makes one."""
    client = boto3.client(
        "s3",
        endpoint_url=BUCKET,
        aws_access_key_id=os.environ["BUCKET_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["BUCKET_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    )
    where = {"Bucket": os.environ["BUCKET_NAME"], "Key": f"{job_id}/{name}"}
    client.put_object(**where, Body=content, ContentType="image/png")
    return client.generate_presigned_url("get_object", Params=where, ExpiresIn=86400)


def handler(job):
    graph = job["input"].get("workflow")
    if not isinstance(graph, dict):
        return {"error": "the input has no workflow"}
    wait_for_comfyui()
    client_id = str(uuid.uuid4())
    socket = websocket.create_connection(f"ws://{HOST}/ws?clientId={client_id}", timeout=600)
    try:
        prompt_id = queue(graph, client_id)
        wait_for_end(socket, prompt_id)
    finally:
        socket.close()
    history = requests.get(f"http://{HOST}/history/{prompt_id}", timeout=30).json()
    images = []
    for output in history[prompt_id]["outputs"].values():
        for image in output.get("images", []):
            content = picture(image)
            if BUCKET:
                data, kind = upload(job["id"], image["filename"], content), "s3_url"
            else:
                data, kind = base64.b64encode(content).decode(), "base64"
            images.append({"filename": image["filename"], "type": kind, "data": data})
    return {"images": images}


if __name__ == "__main__":
    runpod.serverless.start({"handler": handler})
