name = Vale con saldo
description = Dinero para una finalidad, que usted gasta por partes. No lleva su nombre.
source = La organización u oficina cuyo programa da vales.

claim-serials = Número de una unidad
    .description = Un texto al azar que representa una unidad. Usted muestra una cada vez, y nunca la misma dos veces, de modo que por él no se pueden relacionar dos pagos.
claim-programme = Programa
    .description = El programa que le da el vale.
claim-purse = Destino del dinero
    .description = Aquello en lo que puede gastar el dinero.
claim-redeemer = Aceptado por
    .description = Quién acepta el vale y cuenta sus unidades. Nadie más puede aceptarlo.
claim-uses = Unidades
    .description = Cuántas unidades puede gastar en total.
claim-unitValue = Valor de una unidad
    .description = Cuánto vale una unidad.
claim-currency = Moneda
    .description = La moneda en que está el valor.
