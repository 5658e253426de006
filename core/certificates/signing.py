"""Signs certificates' PDFs: PAdES baseline B-B (ETSI EN 319 142-1), invisible, and no change allowed afterwards.

The seal on the page is what eyes look for; readers show the signature in a panel of their own. pyHanko is imported inside
the functions: only the processes that render pay for it.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import Any

from core.certificates.keys import ISSUER, read_signing_key

FIELD = "CertificateSignature"
REASON = "Issued on completion of the course"


@cache
def load_signer(pem: bytes) -> Any:
    """pyHanko's signer for a private key with its certificate as PEM, made once a process. Raises ValueError."""
    from asn1crypto import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.serialization import Encoding
    from pyhanko.sign.signers.pdf_cms import Signer
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    key = read_signing_key(pem)
    own, *chain = (x509.Certificate.load(item.public_bytes(Encoding.DER)) for item in (key.certificate, *key.chain))

    class KeySigner(Signer):
        """Signs with a key that is read once; pyHanko's own signer reads and checks it anew for every signature."""

        async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
            if dry_run:
                return bytes(key.private_key.key_size // 8)
            return key.private_key.sign(data, PKCS1v15(), hashes.SHA256())

    return KeySigner(signing_cert=own, cert_registry=SimpleCertificateStore.from_certs(chain))  # type: ignore[no-untyped-call]


def sign_pdf(pdf: bytes, pem: bytes) -> bytes:
    """The PDF with the issuer's signature, which states the present time. Takes some 20 ms of CPU."""
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
    from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner

    meta = PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm="sha256",
        name=ISSUER,
        reason=REASON,
        subfilter=SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
    )
    signed = PdfSigner(meta, load_signer(pem)).sign_pdf(IncrementalPdfFileWriter(BytesIO(pdf)))
    return bytes(signed.getbuffer())
