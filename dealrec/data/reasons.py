"""The reasons for which rows are rejected, and how many rows may be."""

REASONS = {
    "blank_row": "The row is empty in all columns that are read.",
    "empty_user_id": "The user id is empty.",
    "empty_item_id": "The item id is empty.",
    "unequal_lists": "The lists in the row have different lengths.",
    "cut_list": "The list in the row is cut short with `...`, as NumPy prints long ones. Write the whole "
    "list, such as with `.tolist()`.",
    "invalid_timestamp": "The timestamp is empty, or neither a number nor a date of a known form. "
    "`date_format` names another form, such as %d/%m/%Y.",
    "invalid_position": "The position is not a number.",
    "invalid_split": "The split is not one of train, valid and test. Where the column means something else, "
    "`split` names another way (`--split global_time` or `--split leave_one_out`, for texts without ids "
    "`--split users`).",
    "invalid_rating": "The rating is not a number.",
    "wrong_column_count": "The row has another number of cells than the header. Where the last column holds "
    "separators without quotes, `rest` takes the rest of the line (`--set data.format.rest=true`, "
    "`item_format` for the items).",
    "invalid_json": "The line is not a JSON object.",
    "invalid_value": "The value is neither text nor a number.",
    "invalid_text": "The text holds bytes that are not text in the encoding of the file, or a NUL character. "
    "`encoding` names another one (`--set data.format.encoding=latin-1`, `item_format` for the items).",
    "cell_too_long": "The cell is too long.",
    "duplicate_row": "Another row has the same user, item and time or position.",
    "invalid_texts": "The row has no texts: `messages` that end with a turn of the user and one of the "
    "assistant, `prompt` and `completion`, or `instruction` and `output`.",
    "empty_answer": "The answer is empty, so nothing can be learned from the row.",
    "empty_sample_id": "The id of the sample is empty.",
    "duplicate_sample_id": "Another row has the same id of a sample.",
    "no_item_ids": "The row names no item in `history`, or none as the `target`. Surrogate and influence "
    "need them.",
    "unknown_user": "The interactions have no such user.",
    "unknown_item": "Neither interactions nor items have the item that the row names.",
    "duplicate_item": "Another row of the item is used: the first one with a title.",
}
"""The message of every reason for which a row is rejected; it never quotes the row."""
NOTHING_LOST = frozenset({"duplicate_row", "duplicate_item", "blank_row"})
"""The reasons with which nothing is lost."""
MISSING_SHARE = 0.25
"""The share of rows that may lack a value where the file itself marks it as missing, as Parquet's null does.

Such rows (the purchases of guests, say) were read as they are. A cell that is empty or cannot be read may
also show that the file is read wrongly, so less of them is allowed. A share that a person asks for counts for
both. See :attr:`~dealrec.config.DataOptions.allowed_rejected`."""
