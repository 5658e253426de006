"""PDFs as people send them: signed by anybody, changed by anybody, and made to do harm."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers import PdfSignatureMetadata, SimpleSigner, sign_pdf
from pyhanko_certvalidator.registry import SimpleCertificateStore
from pypdf import PdfReader, PdfWriter

from core.certificates.keys import SigningKey


def blank_pdf(title: str = "Nothing") -> bytes:
    """A page with nothing on it."""
    writer = PdfWriter()
    writer.add_blank_page(842, 595)
    writer.add_metadata({"/Title": title})
    return _written(writer)


def signed(pdf: bytes, key: SigningKey, field: str = "Another") -> bytes:
    """The PDF with one more signature, of a key. Takes tens of milliseconds; not to be called on an event loop."""
    private = key.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    signer = SimpleSigner(
        signing_cert=asn1_x509.Certificate.load(key.certificate.public_bytes(Encoding.DER)),
        signing_key=asn1_keys.PrivateKeyInfo.load(private),
        cert_registry=SimpleCertificateStore(),  # type: ignore[no-untyped-call]
    )
    writer, out = IncrementalPdfFileWriter(io.BytesIO(pdf), strict=False), io.BytesIO()
    if "/Perms" in writer.root:  # whoever adds a signature all the same does not ask whether that is allowed
        del writer.root["/Perms"]
        writer.update_root()  # type: ignore[no-untyped-call]
    metadata = PdfSignatureMetadata(field_name=field, subfilter=SigSeedSubFilter.PADES)
    sign_pdf(writer, metadata, signer=signer, output=out)
    return out.getvalue()


def appended(pdf: bytes) -> bytes:
    """The PDF with a page more, as an incremental update, the way most editors save."""
    writer = PdfWriter(io.BytesIO(pdf), incremental=True)
    writer.add_blank_page(100, 100)
    return _written(writer)


def rewritten(pdf: bytes) -> bytes:
    """The same pages in a new file, the way converters save: signatures are left out."""
    writer = PdfWriter()
    for page in PdfReader(io.BytesIO(pdf)).pages:
        writer.add_page(page)
    return _written(writer)


def merged(*pdfs: bytes) -> bytes:
    """The pages of several in one."""
    writer = PdfWriter()
    for pdf in pdfs:
        writer.append(io.BytesIO(pdf))
    return _written(writer)


def encrypted(pdf: bytes) -> bytes:
    """The PDF behind a password."""
    writer = PdfWriter(clone_from=io.BytesIO(pdf))
    writer.encrypt("secret")
    return _written(writer)


def _written(writer: PdfWriter) -> bytes:
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def raw_pdf(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """A PDF of these objects, numbered from 1, which is the root."""
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, table)
    return bytes(out)


def bombs() -> dict[str, bytes]:
    """Files that would take a reader's time or memory."""

    def form(fields: bytes, *more: bytes) -> bytes:
        catalog = b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields %s>>>>" % fields
        return raw_pdf([catalog, b"<</Type/Pages/Kids[]/Count 0>>", *more])

    doubling = [b"<</T(a)/Kids[%d 0 R %d 0 R]>>" % (number, number) for number in range(4, 60)]
    once = zlib.compress(bytes(400_000_000), 9)
    twice = zlib.compress(once, 9)
    stream = b"<</Type/XRef/Size 9999999/W[1 2 1]/Root 2 0 R/Filter[/FlateDecode/FlateDecode]/Length %d>>\nstream\n" % len(twice)
    loop = raw_pdf([b"<</Type/Catalog>>"], b"/Prev 0000000000")
    return {
        "a field that is its own child": form(b"[3 0 R]", b"<</T(a)/Kids[3 0 R]>>"),
        "2^56 fields": form(b"[3 0 R]", *doubling, b"<</T(b)>>"),
        "a million arrays in each other": form(b"[" * 1_000_000 + b"]" * 1_000_000),
        "a cross-reference stream of 400 MB": b"%PDF-1.7\n1 0 obj\n" + stream + twice + b"\nendstream\nendobj\nstartxref\n9\n",
        "a table that refers to itself": loop.replace(b"/Prev 0000000000", b"/Prev %010d" % loop.rindex(b"xref\n0")),
        "a number of 300,000 digits": form(b"[%s 0 R]" % (b"9" * 300_000)),
    }
