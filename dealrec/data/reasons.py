"""The reasons for which rows are rejected, and how many rows may be."""

REASONS = {
    "blank_row": "The row is empty in all columns that are read.",
    "empty_user_id": "The user id is empty.",
    "empty_item_id": "The item id is empty.",
    "unequal_lists": "The lists in the row have different lengths.",
    "cut_list": "The list in the row is shortened with `...`, as NumPy prints long lists. Write the "
    "whole list, for example with `.tolist()`.",
    "invalid_timestamp": "The timestamp is empty, or neither a number nor a date in a known format. "
    "`date_format` sets another format, such as %d/%m/%Y.",
    "invalid_position": "The position is not a number.",
    "invalid_split": "The split is not one of train, valid and test. If the column means something "
    "else, split in another way (`--split global_time` or `--split leave_one_out`, "
    "for texts without ids `--split users`).",
    "invalid_rating": "The rating is not a number.",
    "wrong_column_count": "The number of cells in the row differs from the header. If the last column "
    "contains separators without quotes, `rest` gives it the rest of the line "
    "(`--set data.format.rest=true`, `item_format` for the items).",
    "invalid_json": "The line is not a JSON object.",
    "invalid_value": "The value is neither a text nor a number.",
    "invalid_text": "The text contains bytes that are not valid in the encoding of the file, or a NUL "
    "character. `encoding` sets another encoding (`--set "
    "data.format.encoding=cp1252`, `item_format` for the items).",
    "cell_too_long": "The cell is longer than the limit.",
    "duplicate_row": "Another row has the same user, item and time or position.",
    "invalid_texts": "The row has no texts. It needs `messages` that end with a user turn and an "
    "assistant turn, or `prompt` and `completion`, or `instruction` and `output`.",
    "empty_answer": "The answer is empty, so nothing can be learned from the row.",
    "empty_sample_id": "The sample id is empty.",
    "duplicate_sample_id": "Another row has the same sample id.",
    "no_item_ids": "The row names no item in `history`, or none as the `target`. The surrogate and "
    "influence need both.",
    "unknown_user": "The interactions have no such user.",
    "unknown_item": "Neither interactions nor items have the item that the row names.",
    "duplicate_item": "Another row of the same item is used: the first one with a title.",
}
"""The message of every reason for which a row is rejected; it never quotes the row."""
OTHER_COLUMNS = {
    "empty_user_id": " Name another column with `--column user_id=NAME`.",
    "empty_item_id": " Name another column with `--column item_id=NAME` (for the items file with "
    "`--set data.item_columns.item_id=NAME`).",
    "invalid_timestamp": " Name another column with `--column timestamp=NAME`, or use the order of the rows "
    "with `--set data.format.order=file`.",
}
"""The ways out where a column holds nothing, by the reason for which its rows are rejected."""
NOTHING_LOST = frozenset({"duplicate_row", "duplicate_item", "blank_row"})
"""The reasons with which nothing is lost."""
MISSING_SHARE = 0.25
"""The share of rows that may lack a value where the file itself marks it as missing, as Parquet's null does.

Such rows (the purchases of guests, say) were read as they are. A cell that is empty or cannot be read may
also show that the file is read wrongly, so less of them is allowed. A share that a person asks for counts for
both. See :attr:`~dealrec.config.DataOptions.allowed_rejected`."""
