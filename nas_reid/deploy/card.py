"""The model card: ``README.md`` of an exported folder, for people, with the YAML header that model hubs read.

The header's keys are those of Hugging Face's model cards; the idea is that of Mitchell et al., "Model Cards for Model
Reporting", FAT* 2019. Its values are written as JSON, which is YAML.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

INTENDED_USE = ("Research on architectures and methods of person re-identification. It is not a surveillance product "
                "and has not been tested for one. Accuracy on a benchmark says nothing about error rates on the people "
                "of a particular place. Whoever deploys it answers for consent, law and the harm of a wrong match.")
UNKNOWN_LICENCE = "not stated; whoever publishes this model has to name it (licence=)"
UNKNOWN_DATA_LICENCE = "not stated; the authors of the data set say what it may be used for (data_licence=)"
DRAWN = "drawn by the generator of nas_reid; the images show nobody"


def model_card(contract: Mapping[str, Any]) -> str:
    """The card of what a contract describes.

    Args:
        contract: what ``model.json`` will hold.
    """
    return "\n".join(["---", *_header(contract), "---", "", *_text(contract)]) + "\n"


def _header(contract: Mapping[str, Any]) -> Iterator[str]:
    data, measured, name = contract["data"], contract["metrics"], contract["name"]
    header = {"library_name": "nas_reid", "pipeline_tag": "image-feature-extraction",
              "tags": ["person-re-identification", "neural-architecture-search", contract["space"], contract["format"]],
              "license": "other",
              "license_name": "not-stated" if contract["licence"] == UNKNOWN_LICENCE else contract["licence"],
              "datasets": [data["name"]]}
    if measured:
        values = [{"type": key, "name": key, "value": value} for key, value in measured["values"].items()
                  if key in ("mAP", "mINP", "rank1")]
        header["metrics"] = [value["type"] for value in values]
        header["model-index"] = [{"name": name, "results": [{
            "task": {"type": "image-feature-extraction", "name": "person re-identification"},
            "dataset": {"name": measured["data"], "type": measured["data"]}, "metrics": values}]}]
    yield from (f"{key}: {json.dumps(value)}" for key, value in header.items())


def _text(contract: Mapping[str, Any]) -> Iterator[str]:
    given, data = contract["input"], contract["data"]
    yield from (f"# {contract['name']}", "",
                f"An embedding of person images: `{contract['space']}`, {contract['parameters']:,} parameters without "
                f"classifier, {contract['embedding']} values an image. Two images are compared by their "
                f"{contract['distance']} distance.", "", "## Use", "", "```python",
                "from nas_reid.deploy.feature_extractor import FeatureExtractor", "",
                'extractor = FeatureExtractor("this folder")', 'features = extractor(["a.jpg", "b.png"])')
    yield from (['extractor.same("a.jpg", "b.png")'] if contract["thresholds"] else [])
    yield from ("```", "", f"Or run `{contract['file']}` with its own runtime:", "", "| | |", "|---|---|",
                f"| input `{given['name']}` | float32 {_shape(given)}, {given['channels']}, {_values(contract)} |",
                f"| resizing | {given['resize']} |",
                f"| output `embeddings` | float32 {_shape(contract['output'])}"
                f"{', of length 1' if contract['output']['l2_normalised'] else ''} |")
    if contract["onnx"]:
        yield f"| ONNX | opset {contract['onnx']['opset']}, IR version {contract['onnx']['ir_version']} |"
    if contract["tracker"]:
        yield f"| made for | the tracker {contract['tracker']}, which prepares its crops like this |"
    yield from ("", "## The same person?", "")
    yield from _thresholds(contract)
    yield from ("", "## Measured", "", *_measured(contract["metrics"]), "", "## Data and licence", "",
                f"Trained on {data['name']}. Licence of the data: {data['licence']}.", "",
                f"Licence of the model: {contract['licence']}.", "", "## Intended use", "", contract["intended_use"],
                "", "`model.json` says all of this for programs, with the SHA-256 of every file.")


def _shape(tensor: Mapping[str, Any]) -> str:
    return f"[{', '.join(map(str, tensor['shape']))}]"


def _values(contract: Mapping[str, Any]) -> str:
    normalisation = contract["normalisation"]
    if normalisation["inside"]:
        return f"values {contract['input']['range'][0]} to {contract['input']['range'][1]}"
    return f"(x - {list(normalisation['mean'])}) / {list(normalisation['std'])} of values from 0 to 1"


def _thresholds(contract: Mapping[str, Any]) -> Iterator[str]:
    if not contract["thresholds"]:
        yield "No threshold was fitted: distances rank, and do not decide."
        return
    resized = "" if contract["input"]["interpolation"] == "antialiased" else (
        " They were fitted on images resized with antialiasing, which this file's are not: a place to start from.")
    yield from ("Fitted on people who were held out of the training; intervals over people. They say nothing about "
                f"other cameras.{resized}", "",
                "| distance | with flip | same person up to | different people accepted | same person accepted |",
                "|---|---|---|---|---|")
    for kept in contract["thresholds"]:
        yield ("| {} | {} | {:.4g} [{:.4g}, {:.4g}] | {:.2%} [{:.2%}, {:.2%}] | {:.1%} |".format(
            kept["distance"], "yes" if kept["flip"] else "no", kept["value"], *kept["interval"], kept["expected"],
            *kept["expected_interval"], kept["true_accepts"]))


def _measured(measured: Mapping[str, Any] | None) -> Iterator[str]:
    if not measured:
        yield "Not measured."
        return
    yield from (f"On {measured['data']}:", "", "| | |", "|---|---|",
                *(f"| {key} | {value:.4g} |" for key, value in measured["values"].items()), "", "Protocol: "
                + "; ".join(f"{key}: {value}" for key, value in measured["protocol"].items()
                            if isinstance(value, str | bool)) + ".")
