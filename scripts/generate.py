"""Generate the stubs in `generated/` from `protos/` with the contract's comments, and images of the contract for buf.

`generate.py` writes the stubs, and `skillforge/comments.json` beside them, for stubs know no comments; `--check`
regenerates them elsewhere and fails on a difference; `--image FILE` writes a FileDescriptorSet of `--protos DIR`
(default: protos) with its imports, which `buf lint` and `buf breaking` read.

Other people's .proto files are not in the repository: they come from the installed packages.
googleapis ships its files; protovalidate ships the descriptor of buf/validate/validate.proto.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google.api
from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent.parent
GOOGLEAPIS = Path(next(iter(google.api.__path__))).parent.parent
WELL_KNOWN = Path(protoc.__file__).parent / "_proto"
VALIDATE = "buf/validate/validate.proto"


def validate_descriptors(path: Path) -> Path:
    """Write buf/validate/validate.proto and what it imports as a FileDescriptorSet to `path`."""
    files = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        module.DESCRIPTOR.CopyToProto(files.file.add())
    files.file.add().ParseFromString(validate_pb._DESC.proto.to_binary())
    path.write_bytes(files.SerializeToString())
    return path


def compile_protos(protos: Path, scratch: Path, *outputs: str) -> None:
    """Run protoc over every file below `protos`; exits with protoc's message when it refuses."""
    sources = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
    dependencies = scratch / "dependencies.binpb"
    arguments = [
        "protoc", f"--descriptor_set_out={dependencies}", "--include_imports", f"-I{GOOGLEAPIS}", f"-I{WELL_KNOWN}",
        "google/api/annotations.proto", "google/api/httpbody.proto", "google/protobuf/empty.proto",
        "google/protobuf/struct.proto", "google/protobuf/field_mask.proto",
    ]  # fmt: skip
    if protoc.main(arguments) != 0:
        sys.exit("protoc could not read the installed google.api files: run `make install` again")
    with dependencies.open("ab") as file:
        # A FileDescriptorSet is a repeated field: appending one to another merges them.
        merged = descriptor_pb2.FileDescriptorSet.FromString(validate_descriptors(scratch / "validate.binpb").read_bytes())
        known = {item.name for item in descriptor_pb2.FileDescriptorSet.FromString(dependencies.read_bytes()).file}
        extra = descriptor_pb2.FileDescriptorSet(file=[item for item in merged.file if item.name not in known])
        file.write(extra.SerializeToString())
    if protoc.main(["protoc", f"--descriptor_set_in={dependencies}", f"-I{protos}", *outputs, *sources]) != 0:
        sys.exit("protoc refused the contract: see its message above")


def varint(number: int) -> bytes:
    """A number in protobuf's wire encoding."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


# buf's FileDescriptorProto extension `buf_extension = 8042`, a message with `is_import = 1` set to true. A file so
# marked is read but not judged; protoc does not know the field, so it is added as an unknown one.
IS_IMPORT = varint(8042 << 3 | 2) + b"\x02" + b"\x08\x01"


def write_image(protos: Path, image: Path) -> None:
    """Write the contract below `protos`, with what it imports marked as imports, to `image`."""
    with tempfile.TemporaryDirectory() as scratch:
        compile_protos(protos, Path(scratch), f"--descriptor_set_out={image}", "--include_imports", "--include_source_info")
    files = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    for file in files.file:
        if not (protos / file.name).is_file():
            file.MergeFromString(IS_IMPORT)
    image.write_bytes(files.SerializeToString())


def write_comments(protos: Path, target: Path) -> None:
    """Write the comments of all that is declared below `protos` by full names, one a line, to `target`."""
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch) / "image.binpb"
        compile_protos(protos, Path(scratch), f"--descriptor_set_out={image}", "--include_source_info")
        files = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    found = {name: text for file in files.file for name, text in comments(file)}
    target.write_text(json.dumps(found, ensure_ascii=False, indent=0, sort_keys=True) + "\n")


def comments(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, str]]:
    """The full name and the comment of each declaration that has one."""
    for place in file.source_code_info.location:
        lines = (place.leading_comments or place.trailing_comments).rstrip().split("\n")
        text = "\n".join(line.removeprefix(" ").rstrip() for line in lines)
        # A path alternates a field's number with an index into it: message, then field, ...
        if text and place.path and len(place.path) % 2 == 0:
            yield ".".join([file.package, *names(file, list(place.path))]), text


def names(holder: Any, path: list[int]) -> list[str]:
    """The names of the declarations that a path of source info leads through."""
    if not path:
        return []
    field, index, *rest = path
    item = getattr(holder, type(holder).DESCRIPTOR.fields_by_number[field].name)[index]
    return [item.name, *names(item, rest)]


def generate(target: Path) -> None:
    """Write message modules, their type stubs, the service stubs and the comments of every contract file below `target`."""
    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = Path(scratch_name)
        bin_folder = Path(sys.executable).parent
        compile_protos(
            ROOT / "protos", scratch,
            f"--python_out={target}", f"--grpc_python_out={target}",
            f"--plugin=protoc-gen-mypy={bin_folder / 'protoc-gen-mypy'}", f"--mypy_out=quiet:{target}",
            f"--plugin=protoc-gen-mypy_grpc={bin_folder / 'protoc-gen-mypy_grpc'}", f"--mypy_grpc_out=quiet:{target}",
        )  # fmt: skip
        # buf/validate is imported by our stubs, so it is generated beside them.
        arguments = ["protoc", f"--descriptor_set_in={validate_descriptors(scratch / 'validate.binpb')}",
                     f"--python_out={target}", f"--pyi_out={target}", VALIDATE]  # fmt: skip
        if protoc.main(arguments) != 0:
            sys.exit("protoc could not generate buf/validate: run `make install` again")
    for stub in target.rglob("*_pb2_grpc.py"):
        if "class " not in stub.read_text():  # a file without services
            stub.unlink()
            stub.with_suffix(".pyi").unlink(missing_ok=True)
    write_comments(ROOT / "protos", target / "skillforge" / "comments.json")
    for folder in [path for path in target.rglob("*") if path.is_dir()]:
        (folder / "__init__.py").touch()
        (folder / "py.typed").touch() if folder.parent == target else None


def differences(comparison: filecmp.dircmp[str], prefix: str = "") -> list[str]:
    """The names that differ, or stand on one side only, below the two folders compared."""
    ignored = {"__pycache__"}
    names = [
        prefix + name for name in (*comparison.left_only, *comparison.right_only, *comparison.diff_files) if name not in ignored
    ]
    for name, below in comparison.subdirs.items():
        names += differences(below, f"{prefix}{name}/")
    return names


def replace(old: Path, new: Path) -> None:
    """Make the folder `old` equal to `new`, leaving the files that are equal alone."""
    wanted = {path.relative_to(new) for path in new.rglob("*") if path.is_file()}
    for path in [path for path in old.rglob("*") if path.is_file() and path.relative_to(old) not in wanted]:
        path.unlink()
    for name in wanted:
        if not (old / name).is_file() or (old / name).read_bytes() != (new / name).read_bytes():
            (old / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(new / name, old / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail when generated/ is not what protos/ gives")
    parser.add_argument("--image", type=Path, help="write a FileDescriptorSet here instead of stubs")
    parser.add_argument("--protos", type=Path, default=ROOT / "protos", help="the folder --image reads")
    options = parser.parse_args()
    if options.image:
        write_image(options.protos.resolve(), options.image.resolve())
    elif options.check:
        with tempfile.TemporaryDirectory() as fresh:
            generate(Path(fresh))
            changed = differences(filecmp.dircmp(fresh, ROOT / "generated"))
        if changed:
            sys.exit("generated/ is not what protos/ gives; run `make generate` and commit. Different: " + ", ".join(changed))
    else:
        with tempfile.TemporaryDirectory() as fresh:
            generate(Path(fresh))
            replace(ROOT / "generated", Path(fresh))


if __name__ == "__main__":
    main()
