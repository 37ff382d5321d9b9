name = Budget-Gutschein
description = Geld für einen Zweck, das Sie in Teilen ausgeben. Ihr Name steht nicht darin.
source = Die Organisation oder Stelle, deren Programm Gutscheine ausgibt.

claim-serials = Kennung einer Einheit
    .description = Ein zufälliger Text, der für eine Einheit steht. Sie zeigen immer nur einen und nie denselben zweimal, sodass daran keine zwei Zahlungen als zusammengehörig zu erkennen sind.
claim-programme = Programm
    .description = Das Programm, von dem der Gutschein kommt.
claim-purse = Geldbeutel
    .description = Wofür Sie das Geld ausgeben dürfen.
claim-redeemer = Einzulösen bei
    .description = Wer den Gutschein annimmt und die Einheiten zählt. Niemand sonst kann ihn annehmen.
claim-uses = Einheiten
    .description = Wie viele Einheiten Sie insgesamt ausgeben können.
claim-unitValue = Wert einer Einheit
    .description = Wie viel eine Einheit wert ist.
claim-currency = Währung
    .description = Das Geld, in dem der Wert angegeben ist.
