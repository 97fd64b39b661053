from hypothesis import given
from hypothesis import strategies as st

from dealrec.app.kit.idempotency.hashing import BodyHash


def digest(content_type, *chunks):
    body = BodyHash(content_type)
    for chunk in chunks:
        body.update(chunk)
    return body.hexdigest()


def form(boundary, content):
    return b"--" + boundary + b"\r\nname: a\r\n\r\n" + content + b"\r\n--" + boundary + b"--\r\n"


@given(st.binary(max_size=80), st.integers(1, 20))
def test_it_does_not_matter_how_a_body_is_cut_into_chunks(content, size):
    whole = form(b"xyzzy", content)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    kind = 'multipart/form-data; boundary="xyzzy"'
    assert digest(kind, *pieces) == digest(kind, whole)
    assert digest("application/json", *pieces) == digest("application/json", whole)


def test_a_form_sent_again_with_another_boundary_is_the_same_form():
    one = digest("multipart/form-data; boundary=first", form(b"first", b"data"))
    two = digest("multipart/form-data; boundary=second", form(b"second", b"data"))
    other = digest("multipart/form-data; boundary=first", form(b"first", b"Data"))
    assert one == two != other
