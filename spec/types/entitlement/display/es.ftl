name = Vale
description = Un servicio que puede usar una o varias veces. No lleva su nombre.
source = La organización u oficina que da vales para este servicio.

claim-serials = Número de un uso
    .description = Un texto al azar que representa un uso. Usted muestra uno cada vez, y nunca el mismo dos veces, de modo que por él no se pueden relacionar dos usos.
claim-entitlementId = Número de vale
    .description = En vales más antiguos: un número al azar con el que se cuentan los usos. Por él se pueden relacionar todos los usos de un vale.
claim-service = Servicio
    .description = Lo que recibe a cambio del vale.
claim-redeemer = Lo acepta
    .description = Quién cuenta los usos. Nadie más puede aceptar el vale.
claim-uses = Usos
    .description = Cuántas veces en total puede usar el vale.
