"""The OpenAPI 3.1 document: drf-spectacular's, and what it cannot see by itself.

`schema` describes operations and fields, `problems` what an operation can refuse,
`examples` shows both, and `document` puts them together and adds what is no view of
the REST framework. Tests hold the document to the addresses, to the exceptions that
the code can raise, and to what the running site answers.
"""
