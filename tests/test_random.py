def test_stream(): pass
