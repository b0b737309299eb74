"""Renders the chart with Helm's own engine, and holds what comes out against Kubernetes' schemas.

One request a line on stdin, one answer a line on stdout, both JSON: see driver.rs."""

import functools
import json
import pathlib
import sys

import helm_python as helm
import jsonschema
import kubernetes_validate
import yaml

utils = kubernetes_validate.utils
utils.schema_contents = functools.lru_cache(maxsize=None)(utils.schema_contents)

CUSTOM = json.loads((pathlib.Path(__file__).parent / "custom.json").read_text())


class Strict(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML as an API server takes it: a key twice is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {sorted(twice)}", node.start_mark)
        return super().construct_mapping(node, deep)


def over(below, above):
    """Values over those of a file, as Helm lays them."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = over(merged[key], value) if both else value
    return merged


def wrong(document, versions):
    """What is wrong with an object: with those of Kubernetes' own in each version."""
    kind = document.get("kind", "")
    if kind in CUSTOM["definitions"]:
        schema = {"$ref": f"#/definitions/{kind}", "definitions": CUSTOM["definitions"]}
        problems = jsonschema.Draft7Validator(schema).iter_errors(document)
        return [f"{kind} at {problem.json_path}: {problem.message}" for problem in problems]
    found = []
    for version in versions:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as problem:
            where = "".join(f"[{part!r}]" for part in problem.path)
            found.append(f"{kind} at {where} in {version}: {problem.message}")
        except Exception as problem:
            found.append(f"{kind} in {version}: {getattr(problem, 'message', problem)!r}")
    return found


def answer(request):
    values = request.get("values") or {}
    if request.get("file"):
        values = over(helm.values_from_yaml(pathlib.Path(request["file"]).read_text()), values)
    # Checked by itself first: whether rendering does so is the library's affair.
    with helm.Chart.load(request["chart"]) as chart:
        chart.validate_schema(values)
        rendered = chart.render(values, name=request["release"], namespace=request["namespace"])
    answered = {"objects": [], "notes": "", "empty": [], "wrong": [], "lint": []}
    for template, text in sorted(rendered.items()):
        if template.endswith("NOTES.txt"):
            answered["notes"] = text
            continue
        # A template that renders nothing at all is none; one with documents has no empty one.
        documents = list(yaml.load_all(text, Loader=Strict)) if text.strip() else []
        for document in documents:
            if not document:
                answered["empty"].append(template)
                continue
            if "holdline.yaml" in (document.get("data") or {}) and document.get("kind") == "ConfigMap":
                answered["config"] = yaml.load(document["data"]["holdline.yaml"], Loader=Strict)
            answered["objects"].append({"template": template, "object": document})
            answered["wrong"] += [f"{template}: {it}" for it in wrong(document, request["versions"])]
    if request["lint"]:
        report = helm.lint(request["chart"], values, strict=True, namespace=request["namespace"])
        answered["lint"] = report["errors"] + [
            f"{it['path']}: {it['error']}" for it in report["messages"] if it["severity"] > 1
        ]
    return answered


for line in sys.stdin:
    try:
        told = answer(json.loads(line))
    except helm.HelmError as refused:
        told = {"refused": str(refused)}
    except yaml.YAMLError as refused:
        told = {"refused": f"what was rendered is no YAML: {refused}"}
    print(json.dumps(told, default=str), flush=True)
